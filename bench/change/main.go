// Command change measures how long a change takes from its acknowledgement by the API to
// the first new answer at an edge, in a zone of a million record sets beside one of ten,
// in turn. An installation of one control node and one edge runs on loopback; a client
// writes a TXT record, then asks the edge without a pause until the answer is the new one.
//
//	go run ./bench/change [-records 1000000] [-changes 100]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/bench/rig"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

func main() {
	records := flag.Int("records", 1_000_000, "record sets of the large zone")
	changes := flag.Int("changes", 100, "changes of each zone")
	controls := flag.Int("controls", 1, "control nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *records, *changes, *controls); err != nil {
		fmt.Fprintln(os.Stderr, "change:", err)
		os.Exit(1)
	}
}

// zone is one of the two compared.
type zone struct {
	apex    string
	records int
	write   []time.Duration // request to acknowledgement
	answer  []time.Duration // acknowledgement to new answer
}

func run(ctx context.Context, records, changes, controls int) (err error) {
	fmt.Println(rig.Machine())
	r, err := rig.Start(ctx, controls, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	conn, err := r.Dial(r.Controls[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	ask := rig.NewAsker(r.Edges[0].Addr + ":5300")
	defer ask.Close()
	zones := []*zone{{apex: "small.test", records: 10}, {apex: "large.test", records: records}}
	for _, z := range zones {
		if err := z.fill(ctx, r, conn, ask); err != nil {
			return err
		}
	}
	for n := range changes + 5 { // the first five warm up
		for _, z := range zones {
			if err := z.change(ctx, r, conn, ask, n); err != nil {
				return err
			}
			if n < 5 {
				z.write, z.answer = nil, nil
			}
		}
	}
	report(zones, controls)
	return nil
}

func (z *zone) fill(ctx context.Context, r *rig.Rig, conn *grpc.ClientConn, ask *rig.Asker) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if _, err := rig.Import(r.As(ctx, rig.Organization), conn, z.apex, &rig.Zone{Records: z.records}); err != nil {
		return err
	}
	return ask.Until(ctx, "last."+z.apex, "here")
}

func (z *zone) change(ctx context.Context, r *rig.Rig, conn *grpc.ClientConn, ask *rig.Asker, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	want := fmt.Sprint("change ", n)
	begin := time.Now()
	_, err := dnsgrpc.NewRecordSetServiceClient(conn).UpdateRecordSet(r.As(ctx, rig.Organization),
		&dnsv1.UpdateRecordSetRequest{
			RecordSet: &dnsv1.RecordSet{
				Name: "zones/" + z.apex + "/records/changing/TXT",
				Spec: &dnsv1.RecordSetSpec{Ttl: proto.Uint32(60), Records: []string{fmt.Sprintf("%q", want)}},
			},
			AllowMissing: true,
		})
	if err != nil {
		return fmt.Errorf("change %d of %s: %w", n, z.apex, err)
	}
	acked := time.Now()
	if err := ask.Until(ctx, "changing."+z.apex, want); err != nil {
		return err
	}
	z.write, z.answer = append(z.write, acked.Sub(begin)), append(z.answer, time.Since(acked))
	return nil
}

func report(zones []*zone, controls int) {
	fmt.Printf("\n%d changes of each zone, in turn; %d control node(s), one edge\n\n", len(zones[0].answer), controls)
	fmt.Println("| records | API p50 | API p99 | return to new answer p50 | p99 |")
	fmt.Println("|--:|--:|--:|--:|--:|")
	for _, z := range zones {
		fmt.Printf("| %d | %v | %v | %v | %v |\n", z.records, ms(z.write, 50), ms(z.write, 99), ms(z.answer, 50),
			ms(z.answer, 99))
	}
	fmt.Printf("\nmedian of the large zone to the small one's: %.2f× (target 2×, and under 50 ms)\n",
		float64(rig.Percentile(zones[1].answer, 50))/float64(rig.Percentile(zones[0].answer, 50)))
}

func ms(all []time.Duration, p int) time.Duration {
	return rig.Percentile(all, p).Round(10 * time.Microsecond)
}
