package edge

// Services are all that the program has. One whose files on this machine are damaged is
// not served, and says so; the others go on.
func Services(c *Config) ([]Part, error) {
	d := newDNS(c)
	parts := []Part{d.part(c), d.cookies()}
	if len(c.S3) == 0 {
		return parts, nil
	}
	if err := c.plainS3(); err != nil {
		return nil, err
	}
	log, err := c.openS3Log()
	if err != nil {
		return nil, err
	}
	s, err := newS3(c, log)
	if err != nil {
		log.Close() // does nothing where there is none
		if len(c.DNS) == 0 {
			return nil, err // it would serve nothing
		}
		c.Logger.Error("edge: S3 is not served, the other services are; mend what the error names and start again",
			"error", err)
		c.node.failed = append(c.node.failed, "s3")
		return parts, nil
	}
	return append(parts, s.part()), nil
}
