package edge

// Services are all that the program has.
func Services(c *Config) ([]Part, error) {
	d := newDNS(c)
	return []Part{d.part(c), d.cookies()}, nil
}
