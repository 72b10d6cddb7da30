// Package config binds the storage flags that source-controller passes on.
package config

import (
	"cmp"
	"os"
	"time"

	"github.com/spf13/pflag"
)

// Options of the artifact storage and its server.
type Options struct {
	StoragePath, StorageAddress, StorageAdvAddress string
	ArtifactRetentionTTL                           time.Duration
	ArtifactRetentionRecords                       int
	ArtifactDigestAlgo                             string
}

// BindFlags defines a flag for each option.
func (o *Options) BindFlags(flags *pflag.FlagSet) {
	text := func(to *string, name, variable, otherwise, usage string) {
		flags.StringVar(to, name, cmp.Or(os.Getenv(variable), otherwise), usage)
	}
	text(&o.StoragePath, "storage-path", "STORAGE_PATH", "", "folder of the artifacts")
	text(&o.StorageAddress, "storage-addr", "STORAGE_ADDR", ":9090", "address to serve artifacts on")
	text(&o.StorageAdvAddress, "storage-adv-addr", "STORAGE_ADV_ADDR", "", "host:port in artifact URLs")
	text(&o.ArtifactDigestAlgo, "artifact-digest-algo", "", "sha256", "digest algorithm of artifacts")
	flags.DurationVar(&o.ArtifactRetentionTTL, "artifact-retention-ttl", time.Minute, "age at which an old artifact goes")
	flags.IntVar(&o.ArtifactRetentionRecords, "artifact-retention-records", 2, "artifacts kept of one object")
}
