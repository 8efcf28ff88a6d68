package store

// Waiting is how many posts wait for their group.
func (in *Intake) Waiting() int { return len(in.queue) }
