// Pools runs what the benchmark "objects" runs, on sync.Pool, and prints the same lines; see ../README.md.
package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

var (
	quick = flag.Bool("quick", false, "shows that it runs, measures nothing")
	only  = flag.String("only", "", "only the workloads whose name contains this")
)

func main() {
	flag.Parse()
	for _, loop := range []struct {
		name string
		work func() uint64
	}{{"pair", pair()}, {"overflow", overflow()}, {"starvation", starvation()}} {
		for _, threads := range []int{1, 2, 8} {
			if admits(loop.name) {
				show(fmt.Sprintf("%s, %d T", loop.name, threads), perOperation(threads, loop.work))
			}
		}
	}
	if admits("clear") {
		clearing()
	}
	for _, threads := range []int{1, 2, 8} {
		if admits("expensive") {
			expensive(threads)
		}
	}
}

func admits(workload string) bool {
	return strings.Contains(workload, *only)
}

func show(cell string, figure float64) {
	fmt.Printf("{\"cell\":%q,\"figure\":%.4f}\n", cell, figure)
}

// quantile is the smallest figure that such a share of all is not above.
func quantile(figures []float64, share float64) float64 {
	slices.Sort(figures)
	return figures[min(int(share*float64(len(figures))), len(figures)-1)]
}
