// Package suggest finds what someone meant who typed a name that does not exist.
package suggest

import "strings"

// Nearest returns the candidate that is nearest to word, or "" when none is near enough
// to be meant: at most one change for three letters, or a common beginning.
func Nearest(word string, candidates []string) string {
	low := strings.ToLower(word)
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		d := distance(low, strings.ToLower(c))
		if len(low) >= 3 && strings.HasPrefix(strings.ToLower(c), low) {
			d = 1
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// Mean returns "; did you mean X?" for the nearest candidate, or "".
func Mean(word string, candidates []string) string {
	if n := Nearest(word, candidates); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// distance counts the insertions, deletions, replacements and swaps of neighbours
// between two words (optimal string alignment).
func distance(a, b string) int {
	two, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, prev, row = prev, row, two
	}
	return prev[len(b)]
}
