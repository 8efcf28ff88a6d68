package pipeline

// Rendered is a request to a destination as a person may see it: credentials and phones are masked.
type Rendered struct {
	Method string
	// URL has no credentials: they travel in the body.
	URL string
	// Params are the parameters of the body by name.
	Params map[string]string
	// Notes say what of the lead was cut or left out, and why. They hold no values.
	Notes []string
}

// MaskPhone returns a number with all but its last two digits hidden, enough to tell one's own test numbers apart.
func MaskPhone(number string) string {
	out := []rune(number)
	for i, r := range out {
		if r >= '0' && r <= '9' && i < len(out)-2 {
			out[i] = '*'
		}
	}
	return string(out)
}
