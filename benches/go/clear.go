package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const idle = 100_000

// The pause of a collection that clears a pool of 100 000 items, as the runtime tells it; and the longest put and get that
// another goroutine sees beside such a collection, and beside none for as long.
func clearing() {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	rounds := 40
	if *quick {
		rounds = 2
	}

	// Alone, as Go's own benchmark has it.
	var pool sync.Pool
	var pauses []float64
	for range rounds {
		fill(&pool)
		runtime.GC()
		pauses = append(pauses, lastPause())
	}
	show("clear, pause, p50", quantile(pauses, 0.5))
	show("clear, pause, p95", quantile(pauses, 0.95))

	requests := request(&pool, rounds)
	var whole []float64
	for round := range rounds {
		fill(&pool)
		start := time.Now()
		requests.watch(2 * round)
		runtime.GC()
		took := time.Since(start)
		requests.watch(2*round + 1)
		for start = time.Now(); time.Since(start) < took; {
		}
		requests.watch(unwatched)
		whole = append(whole, float64(took.Nanoseconds()))
	}
	beside, without := requests.end()
	show("clear, longest pair, p50", quantile(beside, 0.5))
	show("clear, longest pair, p95", quantile(beside, 0.95))
	show("clear, longest pair without, p50", quantile(without, 0.5))
	show("clear, longest pair without, p95", quantile(without, 0.95))
	show("clear, whole, p50", quantile(whole, 0.5))
}

func fill(pool *sync.Pool) {
	for range idle {
		pool.Put(42)
	}
}

func lastPause() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.PauseNs[(stats.NumGC+255)%256])
}

// A goroutine that puts and gets all the time, and the longest pair that it saw in each stretch of time.
type requests struct {
	stretch atomic.Int64
	longest []time.Duration
	over    chan struct{}
}

const (
	unwatched = -1
	ended     = -2
)

func request(pool *sync.Pool, rounds int) *requests {
	r := &requests{longest: make([]time.Duration, 2*rounds), over: make(chan struct{})}
	r.watch(unwatched)
	go func() {
		defer close(r.over)
		then := time.Now()
		for before := r.stretch.Load(); before != ended; {
			pool.Put(1)
			pool.Get()
			now := time.Now()
			after := r.stretch.Load()
			// One that saw the beginning of a stretch counts to it: it may be what was kept waiting.
			stretch := before
			if stretch < 0 {
				stretch = after
			}
			if stretch >= 0 {
				r.longest[stretch] = max(r.longest[stretch], now.Sub(then))
			}
			before, then = after, now
		}
	}()
	return r
}

func (r *requests) watch(stretch int) {
	r.stretch.Store(int64(stretch))
}

// end returns what was seen in the even stretches, and in the odd ones.
func (r *requests) end() (even, odd []float64) {
	r.watch(ended)
	<-r.over
	for n, wait := range r.longest {
		if n%2 == 0 {
			even = append(even, float64(wait.Nanoseconds()))
		} else {
			odd = append(odd, float64(wait.Nanoseconds()))
		}
	}
	return even, odd
}
