// Package digest holds the algorithm that artifacts are named by.
package digest

import (
	"fmt"

	godigest "github.com/opencontainers/go-digest"
)

// Canonical is set once at start.
var Canonical = godigest.SHA256

// AlgorithmForName refuses what this build cannot compute.
func AlgorithmForName(name string) (godigest.Algorithm, error) {
	algorithm := godigest.Algorithm(name)
	if !algorithm.Available() {
		return "", fmt.Errorf("unsupported digest algorithm: %q", name)
	}
	return algorithm, nil
}
