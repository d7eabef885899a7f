package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// One put of an object and one get; 256 of them between two looks at the clock.
func pair() func() uint64 {
	var pool sync.Pool
	return func() uint64 {
		for range 256 {
			pool.Put(1)
			pool.Get()
		}
		return 256
	}
}

// A hundred puts, then a hundred gets: more than a P keeps to itself without others being able to steal.
func overflow() func() uint64 {
	return putsAndGets(100, 100)
}

// Fewer puts than gets, so that a P steals from the others and then comes away empty.
func starvation() func() uint64 {
	return putsAndGets(67, 100)
}

func putsAndGets(puts, gets int) func() uint64 {
	var pool sync.Pool
	return func() uint64 {
		for range puts {
			pool.Put(1)
		}
		for range gets {
			pool.Get()
		}
		return 1
	}
}

// Nanoseconds of one core per operation: the median of some windows after one that warms up.
func perOperation(threads int, work func() uint64) float64 {
	windows, window := 11, 20*time.Millisecond
	if *quick {
		windows, window = 3, 5*time.Millisecond
	}
	cores := min(threads, runtime.NumCPU())
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	var figures []float64
	for n := range windows + 1 {
		took, operations := measure(threads, window, work)
		if n > 0 {
			figures = append(figures, float64(took.Nanoseconds())*float64(cores)/float64(operations))
		}
	}
	return quantile(figures, 0.5)
}

func measure(threads int, window time.Duration, work func() uint64) (time.Duration, uint64) {
	var done sync.WaitGroup
	var operations atomic.Uint64
	begin := make(chan struct{})
	for range threads {
		done.Add(1)
		go func() {
			defer done.Done()
			<-begin
			var own uint64
			for start := time.Now(); time.Since(start) < window; {
				own += work()
			}
			operations.Add(own)
		}()
	}
	start := time.Now()
	close(begin)
	done.Wait()
	return time.Since(start), operations.Load()
}
