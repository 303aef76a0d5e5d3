package edge

// Services are all that the program has. One whose files on this machine are damaged says so
// to whoever asks it, S3 with 503; the others go on.
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
		c.Logger.Error("edge: S3 answers 503, the other services go on; mend what the error names and start again",
			"error", err)
		c.node.failed = append(c.node.failed, "s3")
		return append(parts, newS3Shut(c, err).part()), nil
	}
	return append(parts, s.part()), nil
}
