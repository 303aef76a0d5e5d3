package segment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

func TestSparesAreFilledAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, Options{FS: storetest.New(), Size: 8 << 20, Spare: 2, FillRate: 1 << 20})
		f.Resume()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := f.Stats().Ready; n != 0 {
			t.Errorf("%d spares after 5 s", n)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if n := f.Stats().Ready; n != 2 {
			t.Errorf("%d spares after 20 s", n)
		}
		before := len(f.Stats().Segments)
		put(t, f, 1, 100_000)
		if st := f.Stats(); st.Ready != 1 || len(st.Segments) != before {
			t.Errorf("a writer did not take a spare: %+v", st)
		}
	})
}

func TestAFullDiskLeavesNoSpareAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		fs.SetFree(1000)
		f := open(t, Options{FS: fs, Spare: 1})
		f.Resume()
		synctest.Wait()
		names, err := fs.List("/data/segments")
		if err != nil || len(names) != 0 {
			t.Errorf("left on the full disk: %v, %v", names, err)
		}
		fs.SetFree(-1)
		time.Sleep(retryAfter + time.Second)
		synctest.Wait()
		if n := f.Stats().Ready; n != 1 {
			t.Errorf("%d spares when there is space again", n)
		}
	})
}

func TestMoreDeadSegmentsThanAreOfUseAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		f := open(t, Options{FS: fs})
		var refs []Ref
		for i := range 30 {
			refs = append(refs, put(t, f, i, 700_000))
		}
		f.Resume()
		for _, r := range refs[:20] {
			f.Free(r)
		}
		synctest.Wait()
		if n := f.Stats().Ready; n < 8 || n > 13 {
			t.Errorf("%d segments are ready where 30 were begun in a minute, and 10 are needed", n)
		}
		for _, r := range refs[20:] {
			f.Free(r)
		}
		time.Sleep(4 * demandWindow)
		synctest.Wait()
		st := f.Stats()
		if names, err := fs.List("/data/segments"); err != nil || len(names) != len(st.Segments) ||
			len(names) > maxSurplus+maxActive {
			t.Errorf("%d files, %d segments, %v", len(names), len(st.Segments), err)
		}
		for _, r := range refs[:20] {
			if _, err := f.Pin(r); !errors.Is(err, ErrStale) {
				t.Errorf("pin of a freed extent: %v", err)
			}
			if err := f.Sync(context.Background(), r); !errors.Is(err, ErrStale) {
				t.Errorf("sync of a freed extent: %v", err)
			}
		}
	})
}

func TestANumberThatComesBackHasAnotherGeneration(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	r := put(t, f, 1, 100)
	must(t, f.Close())
	must(t, fs.RemoveAll("/data/segments"))
	f = open(t, Options{FS: fs})
	if again := put(t, f, 1, 100); again.Segment != r.Segment {
		t.Fatalf("segment %d", again.Segment)
	}
	if _, err := f.Pin(r); !errors.Is(err, ErrStale) {
		t.Errorf("the old place: %v", err)
	}
}

func TestWhatWasOpenedIsLeftAloneBeforeResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		f := open(t, Options{FS: fs})
		r := put(t, f, 1, 400_000)
		must(t, f.Close())
		f = open(t, Options{FS: fs})
		for i := range 10 {
			f.Free(put(t, f, 10+i, 1_000_000))
		}
		synctest.Wait()
		check(t, f, r, 1, 400_000)
		must(t, f.Adopt(r))
		f.Resume()
		small := put(t, f, 2, 1000)
		if small.Segment != r.Segment && f.Stats().Segments[0].State != active.String() {
			t.Errorf("the room behind what was adopted is not used: %+v", f.Stats())
		}
		check(t, f, r, 1, 400_000)
	})
}

func TestAStartMakesNoSpareWhereASegmentIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		f := open(t, Options{FS: fs})
		put(t, f, 1, 400_000)
		must(t, f.Close())
		for range 3 {
			f = open(t, Options{FS: fs, Spare: 1})
			synctest.Wait()
			if n := len(f.Stats().Segments); n != 1 {
				t.Fatalf("%d segments before anybody said what is needed", n)
			}
			f.Resume()
			synctest.Wait()
			if st := f.Stats(); len(st.Segments) != 1 || st.Ready != 1 {
				t.Fatalf("the empty segment is not the spare: %+v", st)
			}
			must(t, f.Close())
		}
	})
}

func TestFilesThatWereNotFinishedAreRemoved(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	put(t, f, 1, 100)
	must(t, f.Close())
	must(t, fs.Rename("/data/segments/00000001.seg", "/data/segments/00000009.seg.tmp"))
	open(t, Options{FS: fs})
	if names, err := fs.List("/data/segments"); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

func TestASpareIsOfTheSizeThatItsHeaderSays(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs, Size: 64 << 10})
	small := put(t, f, 1, 30_000)
	must(t, f.Close())
	f = open(t, Options{FS: fs, Size: 1 << 20})
	must(t, f.Adopt(small))
	f.Resume()
	big := put(t, f, 2, 500_000)
	check(t, f, small, 1, 30_000)
	check(t, f, big, 2, 500_000)
}

func TestTheBudgetHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, from := NewBudget(1000), time.Now()
		for range 20 {
			must(t, b.Take(t.Context(), 500))
		}
		if took := time.Since(from); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("10,000 octets at 1,000 a second took %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		must(t, b.Take(ctx, 100_000))
		if err := b.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait past the context: %v", err)
		}
		var none *Budget
		must(t, none.Take(t.Context(), 1<<40))
	})
}

func TestOptionsThatCannotBe(t *testing.T) {
	for _, size := range []int64{-4096, 4096, 5000, maxSegment + 4096} {
		if f, err := Open(Options{FS: storetest.New(), Dir: "/d", Size: size}); err == nil {
			t.Errorf("size %d was taken", size)
			_ = f.Close()
		}
	}
	for _, s := range []state{held, active, full, empty, ready, damaged} {
		if strings.TrimSpace(fmt.Sprint(s)) == "" {
			t.Errorf("state %d has no name", s)
		}
	}
}
