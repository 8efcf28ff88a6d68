package main

import (
	"context"
	"slices"
)

// side does its work once and returns its figures, always the same number of them.
type side func(ctx context.Context) ([]float64, error)

// samples are one figure of all runs, in the order of the pairs.
type samples []float64

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// over is the median of the pairs' own ratios: whatever slows the machine for a while slows both halves of a pair.
func (s samples) over(yard samples) float64 {
	ratios := make(samples, 0, len(s))
	for i := range s {
		if yard[i] > 0 {
			ratios = append(ratios, s[i]/yard[i])
		}
	}
	return ratios.median()
}

// interleave runs all sides once a pair, every second time in reverse order, and returns each side's figures.
func interleave(ctx context.Context, pairs int, sides ...side) ([][]samples, error) {
	out := make([][]samples, len(sides))
	for pair := range pairs {
		for i := range sides {
			if pair%2 == 1 {
				i = len(sides) - 1 - i
			}
			figures, err := sides[i](ctx)
			if err != nil {
				return nil, err
			}
			if out[i] == nil {
				out[i] = make([]samples, len(figures))
			}
			for j, v := range figures {
				out[i][j] = append(out[i][j], v)
			}
		}
	}
	return out, nil
}

// against fills a row with a figure and its yardstick.
func (r row) against(value, yard samples) row {
	r.value, r.yard, r.ratio = value.median(), yard.median(), value.over(yard)
	return r
}
