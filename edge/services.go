package edge

// Services are all that the program has.
func Services(c *Config) ([]Part, error) {
	d := newDNS(c)
	parts := []Part{d.part(c), d.cookies()}
	if len(c.S3) == 0 {
		return parts, nil
	}
	s, err := newS3(c)
	if err != nil {
		return nil, err
	}
	return append(parts, s.part()), nil
}
