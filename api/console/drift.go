package console

import "github.com/trunkline/trunkline/api/status"

// driftTable lays out what the latest samples found.
func driftTable(list []status.Drift) table {
	t := table{
		Caption: "The latest sample of each stream, read again at the vendor: all zeros but Compared and Listed is well", Empty: "No sample has been compared with a vendor yet.",
		Cols: cols("Stream", "Looked", "#Compared", "#Stale", "#Gone there", "#Mapped wrong", "#Listed", "#Missing here", "~Ended early"),
	}
	for i := range list {
		d := &list[i]
		t.Rows = append(t.Rows, []cell{
			text(d.Source + "." + d.Stream), at(d.Checked), count(d.Compared), warned(d.Stale, "warn"), warned(d.Extra, "warn"), warned(d.MappedWrong, "bad"),
			count(d.Listed), warned(d.Missing, "bad"), text(d.Error),
		})
	}
	return t
}

// warned is a count in a colour, unless there is none.
func warned(n int, class string) cell {
	c := count(n)
	if n > 0 {
		c.Class = class
	}
	return c
}
