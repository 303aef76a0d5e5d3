package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// renewEvery is how often it is looked whether the certificate is due.
const renewEvery = time.Hour

// due reports whether a third of a certificate's life is over: it lives 60 days and is
// renewed from day 20, so that 40 days without control are never fewer than the 14 of
// the autonomy budget (keys.md).
func due(cert *x509.Certificate, now time.Time) bool {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return !now.Before(cert.NotBefore.Add(life / 3))
}

// budgetDays until the first of this node's certificate and of the keys that its services
// were given ends; 0 when there is no certificate to ask for.
func (c *Config) budgetDays() uint32 {
	if c.o.Certificate == nil {
		return 0
	}
	cert := c.o.Certificate()
	if cert == nil {
		return 0
	}
	ends := cert.NotAfter
	if c.o.Ends != nil {
		if t := c.o.Ends(); !t.IsZero() && t.Before(ends) {
			ends = t
		}
	}
	left := ends.Sub(c.o.Clock.Now())
	return uint32(max(left, 0) / (24 * time.Hour))
}

// keepCertificate renews the certificate when it is due, at the start of a session and
// every hour of it.
func (s *session) keepCertificate(ctx context.Context) {
	o := s.c.o
	if o.Certificate == nil || o.Request == nil || o.Install == nil {
		return
	}
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		if cert := o.Certificate(); cert != nil && due(cert, o.Clock.Now()) {
			if err := s.renewCertificate(ctx); err != nil && ctx.Err() == nil {
				o.Log.Warn("config: the certificate was not renewed", "ends", cert.NotAfter, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *session) renewCertificate(ctx context.Context) error {
	csr, err := s.c.o.Request()
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	up := &feedv1.Up{Message: &feedv1.Up_Renew{Renew: &feedv1.Renew{CertificateRequest: csr}}}
	if err := s.write(up); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case r := <-s.renew:
		if r.GetRefused() != "" || len(r.GetCertificates()) == 0 {
			return errors.New("refused: " + r.GetRefused())
		}
		if err := s.c.o.Install(r.GetCertificates()); err != nil {
			return fmt.Errorf("install: %w", err)
		}
		// A resumed session would go on with the old one. Only the follower's goroutine
		// reads this, after it has waited for this one.
		s.c.sessions = newSessionCache()
		s.c.o.Log.Info("config: the certificate was renewed")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newSessionCache is for one certificate and a few control nodes.
func newSessionCache() tls.ClientSessionCache { return tls.NewLRUClientSessionCache(16) }
