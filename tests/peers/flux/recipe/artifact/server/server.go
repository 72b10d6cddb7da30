// Package server serves the artifacts to the other controllers.
package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/fluxcd/pkg/artifact/config"
)

// Start serves until ctx is done.
func Start(ctx context.Context, o *config.Options) error {
	listener, err := net.Listen("tcp", o.StorageAddress)
	if err != nil {
		return err
	}
	files := http.FileServer(http.Dir(o.StoragePath))
	srv := &http.Server{Handler: files, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
