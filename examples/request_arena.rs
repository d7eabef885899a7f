//! A request in an arena: the JSON is read into collections that lie there, answered from them, and all of it goes back at once.
//!
//! `cargo run --example request_arena`

use std::error::Error;
use std::fmt;
use std::io::Write;

use allocator_api2::vec::Vec;
use hashbrown::{DefaultHashBuilder, HashMap};
use millpond::{Arena, Pool, PoolBuf};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

static POOL: Pool = Pool::new();

/// `{"departures": [{"line": "7", "minutes": 4}, ...]}`, by line.
type Departures<'arena> = HashMap<&'arena str, Vec<u32, &'arena Arena>, DefaultHashBuilder, &'arena Arena>;

/// Reads the request into an arena. serde's own collections would ask the global allocator for each line.
#[derive(Clone, Copy)]
struct InArena<'arena>(&'arena Arena);

impl<'de, 'arena> DeserializeSeed<'de> for InArena<'arena> {
    type Value = Departures<'arena>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, 'arena> Visitor<'de> for InArena<'arena> {
    type Value = Departures<'arena>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("departures")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut departures = HashMap::new_in(self.0);
        while let Some(key) = map.next_key::<&str>()? {
            if key == "departures" {
                map.next_value_seed(Rows { arena: self.0, departures: &mut departures })?;
            } else {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(departures)
    }
}

struct Rows<'a, 'arena> {
    arena: &'arena Arena,
    departures: &'a mut Departures<'arena>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of departures")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut rows: S) -> Result<(), S::Error> {
        #[derive(serde::Deserialize)]
        struct Row<'a> {
            line: &'a str,
            minutes: u32,
        }
        while let Some(Row { line, minutes }) = rows.next_element()? {
            let arena = self.arena;
            let times = match self.departures.get_mut(line) {
                Some(times) => times,
                None => self.departures.entry(arena.alloc_str(line)).or_insert_with(|| Vec::new_in(arena)),
            };
            times.push(minutes);
        }
        Ok(())
    }
}

/// The next departure of each line.
fn answer(request: &str) -> Result<PoolBuf, Box<dyn Error>> {
    let arena = POOL.arena();
    let mut json = serde_json::Deserializer::from_str(request);
    let departures = InArena(&arena).deserialize(&mut json)?;
    json.end()?;

    let mut lines = Vec::with_capacity_in(departures.len(), &arena);
    lines.extend(departures.iter().map(|(line, times)| (*line, times.iter().min())));
    lines.sort_unstable();

    let mut body = POOL.get(4096);
    for (line, next) in &lines {
        writeln!(body, "line {line}: {} min, then {} more", next.unwrap_or(&0), departures[line].len() - 1)?;
    }
    Ok(body)
    // The arena ends here: its blocks are the pool's again, and its chunk waits for the next request.
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut request = String::from(r#"{"stop": "Mill Pond", "departures": ["#);
    for n in 0..2000 {
        let comma = if n == 0 { "" } else { "," };
        request += &format!(r#"{comma}{{"line": "{}", "minutes": {}}}"#, n % 12, 3 + n * 7 % 61);
    }
    request += "]}";

    let mut body = POOL.get(0);
    for _ in 0..1000 {
        body = answer(&request)?;
    }
    print!("{}", String::from_utf8_lossy(&body));
    drop(body);
    println!("\n1000 requests of {} KiB:\n\n{}", request.len() >> 10, POOL.stats());
    // A request that fails gives everything back as well.
    assert!(answer(r#"{"departures": [{"line": "7", "minutes": 4}, {"line": 7}]}"#).is_err());
    assert_eq!(POOL.stats().in_use_bytes, 0);
    Ok(())
}
