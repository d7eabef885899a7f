package main

import (
	"runtime"
	"runtime/debug"
	"slices"
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
	show("clear, pause, least", slices.Min(pauses))
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
	requests.watch(ended)
	<-requests.over
	for kind, name := range [2]string{"", " without"} {
		show("clear, pair"+name+", p50", requests.quantile(kind, 0.5))
		show("clear, pair"+name+", p95", requests.quantile(kind, 0.95))
		show("clear, longest pair"+name+", least", slices.Min(requests.longest[kind]))
		show("clear, longest pair"+name+", p50", quantile(requests.longest[kind], 0.5))
		show("clear, longest pair"+name+", p95", quantile(requests.longest[kind], 0.95))
	}
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

// A goroutine that puts and gets all the time, in stretches of time: the even ones with a collection.
type requests struct {
	stretch atomic.Int64
	// How many pairs took how many nanoseconds; the last count stands for all above.
	counts  [2][1 << 16]uint64
	longest [2][]float64
	over    chan struct{}
}

const (
	unwatched = -1
	ended     = -2
)

func request(pool *sync.Pool, rounds int) *requests {
	r := &requests{over: make(chan struct{})}
	r.longest = [2][]float64{make([]float64, rounds), make([]float64, rounds)}
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
				kind, took := stretch%2, now.Sub(then).Nanoseconds()
				r.counts[kind][min(took, int64(len(r.counts[kind])-1))]++
				r.longest[kind][stretch/2] = max(r.longest[kind][stretch/2], float64(took))
			}
			before, then = after, now
		}
	}()
	return r
}

func (r *requests) watch(stretch int) {
	r.stretch.Store(int64(stretch))
}

func (r *requests) quantile(kind int, share float64) float64 {
	var all, below uint64
	for _, count := range r.counts[kind] {
		all += count
	}
	for took, count := range r.counts[kind] {
		below += count
		if float64(below) >= share*float64(all) {
			return float64(took)
		}
	}
	return 0
}
