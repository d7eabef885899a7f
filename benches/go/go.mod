module millpond/benches/go

go 1.22
