//! Connections that are kept open between requests. Making one may fail, so the pool has no `make`; a broken one does not go back.
//!
//! `cargo run --example connection_wrapper`

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use millpond::objects::Given;
use millpond::{BuildError, ObjectPool, Pooled};

struct Connection {
    stream: BufReader<TcpStream>,
    /// Set where an error leaves nobody knows what on the way.
    broken: bool,
}

impl Connection {
    fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), broken: false })
    }

    /// Sends a line and reads the answer's.
    fn ask(&mut self, line: &str) -> io::Result<String> {
        self.broken = true;
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.broken = false;
        Ok(answer.trim_end().to_owned())
    }
}

/// A client of one server.
struct Client {
    server: SocketAddr,
    idle: ObjectPool<Connection, Given>,
}

impl Client {
    fn new(server: SocketAddr) -> Result<Self, BuildError> {
        let idle = ObjectPool::builder_empty().max_idle(8).reset(|connection: &mut Connection| !connection.broken);
        Ok(Self { server, idle: idle.build()? })
    }

    fn connection(&self) -> io::Result<Pooled<Connection>> {
        match self.idle.try_take() {
            Some(connection) => Ok(connection),
            None => Ok(self.idle.adopt(Connection::open(self.server)?)),
        }
    }

    /// However this ends, the connection goes back if it is good, and is closed if not.
    fn ask(&self, line: &str) -> io::Result<String> {
        self.connection()?.ask(line)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = Client::new(listener.local_addr()?)?;
    let server = thread::spawn(move || serve(&listener));

    for i in 0..10 {
        assert_eq!(client.ask(&format!("hello {i}"))?, format!("HELLO {i}"));
    }
    let error = client.ask("hang up").expect_err("it does");
    println!("refused: {error}");
    assert_eq!(client.ask("once more")?, "ONCE MORE");

    // One that is to stay open is taken out of the pool's hands.
    let mut own: Connection = client.connection()?.detach();
    assert_eq!(own.ask("mine")?, "MINE");

    let stats = client.idle.stats();
    println!("{stats}");
    assert_eq!((stats.adopted, stats.refused, stats.detached), (2, 1, 1), "two were opened for 13 requests");

    drop((client, own));
    server.join().map_err(|_| "the server failed")??;
    Ok(())
}

/// Answers each line in capitals, except "hang up"; two connections, and it ends.
fn serve(listener: &TcpListener) -> io::Result<()> {
    for _ in 0..2 {
        let (stream, _) = listener.accept()?;
        let mut answers = stream.try_clone()?;
        for line in BufReader::new(stream).lines() {
            match line?.as_str() {
                "hang up" => break,
                line => answers.write_all(format!("{}\n", line.to_uppercase()).as_bytes())?,
            }
        }
    }
    Ok(())
}
