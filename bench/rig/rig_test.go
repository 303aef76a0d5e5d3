package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestRunCountsWhatWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Run(t.Context(), 4, time.Second, nil, func(_ context.Context, client, n int) error {
			time.Sleep(10 * time.Millisecond) // of the bubble's clock: the work
			if client == 0 && n < 5 {
				return errors.New("no")
			}
			return nil
		})
		if l.Failed != 5 || l.Done < 390 || l.Done > 404 || l.P50 != 10*time.Millisecond || l.Err == nil {
			t.Errorf("%+v", l)
		}
		if l.Completed() > 0.99 || l.Completed() < 0.98 {
			t.Errorf("%f completed", l.Completed())
		}
	})
}

func TestSeriesKnowsItsMedianAndSpread(t *testing.T) {
	s := Series{{Rate: 30, Done: 99}, {Rate: 10, Done: 100, Failed: 1}, {Rate: 20}}
	if s.Median().Rate != 20 || s.Spread() != "10–30" || s.Completed() != 0.995 {
		t.Errorf("%v %s %f", s.Median(), s.Spread(), s.Completed())
	}
	if s[0].Rate != 30 {
		t.Error("the rounds are in another order")
	}
}

func TestZoneIsAsLongAsItSays(t *testing.T) {
	b, err := io.ReadAll(iotest.OneByteReader(&Zone{Records: 1000}))
	if err != nil || bytes.Count(b, []byte("\n")) != 1000 || !bytes.HasSuffix(b, []byte("last 60 IN TXT \"here\"\n")) {
		t.Errorf("%v: %d lines", err, bytes.Count(b, []byte("\n")))
	}
}

func TestProcTellsOfThisProcess(t *testing.T) {
	peak, err := PeakMemory(os.Getpid())
	if err != nil || peak < 1<<20 {
		t.Errorf("peak memory %d, %v", peak, err)
	}
	begin := CPU(os.Getpid())
	for CPU(os.Getpid()) == begin { // until a tick of work has been counted
	}
	if CPU(-1) != 0 {
		t.Error("nobody has used time")
	}
}
