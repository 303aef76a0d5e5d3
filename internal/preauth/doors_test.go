package preauth

import (
	"net"
	"testing"
)

// TestDoorsAreCountedTogether: two listeners' counters add up, and stay when one is closed.
func TestDoorsAreCountedTogether(t *testing.T) {
	var d Doors
	var doors []bounded
	for range 2 {
		fake := fakeListener{make(chan net.Conn, 1)}
		doors = append(doors, bounded{d.Listen(fake, Limits{Total: 1}), fake})
	}
	for _, b := range doors {
		for range 2 { // the second closes the first
			client, _ := b.dial(t, "192.0.2.1")
			defer client.Close()
		}
	}
	doors[0].Close()
	if got, want := d.Stats(), (Stats{Accepted: 4, ClosedByFull: 2, Waiting: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
