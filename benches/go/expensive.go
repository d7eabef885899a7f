package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Keeps what is assigned to it on the heap.
var ballast []byte

// Objects that take a millisecond to make, a hundred of them out at a time for each thread, while memory for some work is
// allocated and collected.
func expensive(threads int) {
	operations := 300
	if *quick {
		operations = 5
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	// With so much alive, the next collection is due when about as much has been allocated.
	ballast = make([]byte, 8<<20)
	defer func() { ballast = nil }()

	var made atomic.Uint64
	pool := sync.Pool{New: func() any {
		made.Add(1)
		time.Sleep(time.Millisecond)
		return 42
	}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var done sync.WaitGroup
	for range threads {
		done.Add(1)
		go func() {
			defer done.Done()
			items := make([]any, 100)
			var work []byte
			for range operations {
				for n := range items {
					items[n] = pool.Get()
					work = make([]byte, 32<<10)
				}
				for n, item := range items {
					pool.Put(item)
					items[n] = nil
				}
			}
			runtime.KeepAlive(work)
		}()
	}
	done.Wait()
	runtime.ReadMemStats(&after)
	all := float64(threads * operations)
	show(fmt.Sprintf("expensive, %d T, made", threads), float64(made.Load())/all)
	show(fmt.Sprintf("expensive, %d T, collections", threads), float64(after.NumGC-before.NumGC)/all)
}
