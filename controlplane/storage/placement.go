package storage

import (
	"context"
	"hash/fnv"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// place chooses the cell of a new bucket: the one that was asked for, or else, of the
// edges that carry the organization, the one that keeps the fewest of its buckets; among
// equals a hash of both names decides, so that the first buckets of many organizations
// do not all meet in one place. A cell of one has its edge's name.
func (s *Storage) place(ctx context.Context, a *kind.Admission, name, asked string) (string, error) {
	e, err := readEdges(ctx, a.Reader, s.o.Recovery)
	if err != nil {
		return "", err
	}
	may, err := e.of(ctx, a.Reader, a.Organization)
	if err != nil {
		return "", err
	}
	if s.o.Keeps != nil {
		may = slices.DeleteFunc(may, func(n edge) bool { return !s.o.Keeps(n.name) })
	}
	if asked != "" {
		for _, n := range may {
			if n.name == asked {
				return asked, nil
			}
		}
		a.Bad("spec.cell", "%q is no cell that organization %s may keep data in: no edge that carries it and serves S3",
			asked, a.Organization)
		return "", nil
	}
	kept := map[string]int{}
	err = a.Reader.List(ctx, bucketKind, a.Organization, "buckets/", func(_ string, m proto.Message) bool {
		kept[m.(*storagev1.Bucket).GetStatus().GetPlacement().GetCell()]++
		return true
	})
	if err != nil {
		return "", err
	}
	best, least, lot := "", 0, uint64(0)
	for _, n := range may {
		if n.drained {
			continue
		}
		l := draw(n.name, name)
		if best == "" || kept[n.name] < least || kept[n.name] == least && l < lot {
			best, least, lot = n.name, kept[n.name], l
		}
	}
	if best == "" {
		a.Bad("spec.cell", "no edge carries organization %s, and serves S3, so that nothing can keep the bucket: let "+
			"one join (dark nodes token NAME --role edge) and start it with --s3", a.Organization)
	}
	return best, nil
}

func draw(node, bucket string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(node + "\x00" + bucket))
	return h.Sum64()
}
