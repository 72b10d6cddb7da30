// Package storage keeps artifacts as files: KIND/NAMESPACE/NAME/FILE below one folder.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"
	godigest "github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/artifact/config"
	"github.com/fluxcd/pkg/artifact/digest"
)

// Storage is safe for concurrent use within one process.
type Storage struct {
	BasePath string // folder of the artifacts
	Hostname string // host:port in their URLs

	ttl     time.Duration
	records int
	locks   sync.Map // artifact path -> *sync.Mutex
}

// New needs the folder to be there.
func New(o *config.Options) (*Storage, error) {
	if info, err := os.Stat(o.StoragePath); err != nil {
		return nil, fmt.Errorf("invalid storage path: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("invalid storage path: %s is not a folder", o.StoragePath)
	}
	s := &Storage{BasePath: o.StoragePath, Hostname: o.StorageAdvAddress}
	if s.Hostname == "" {
		s.Hostname = o.StorageAddress
	}
	s.ttl, s.records = o.ArtifactRetentionTTL, o.ArtifactRetentionRecords
	return s, nil
}

// NewArtifactFor names an artifact; nothing is written.
func (s *Storage) NewArtifactFor(kind string, object metav1.Object, revision, file string) meta.Artifact {
	folder := strings.ToLower(strings.Join([]string{kind, object.GetNamespace(), object.GetName()}, "/"))
	artifact := meta.Artifact{Path: folder + "/" + file, Revision: revision}
	s.SetArtifactURL(&artifact)
	return artifact
}

// SetArtifactURL points the artifact's URL to this server.
func (s *Storage) SetArtifactURL(artifact *meta.Artifact) {
	if artifact != nil && artifact.Path != "" {
		artifact.URL = s.urlOf(artifact.Path)
	}
}

func (s *Storage) urlOf(path string) string {
	return "http://" + s.Hostname + "/" + strings.TrimLeft(path, "/")
}

// SetHostname replaces the host of a URL by this server's; "" for what is no URL.
func (s *Storage) SetHostname(raw string) string {
	parsed, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	parsed.Host = s.Hostname
	return parsed.String()
}

// LocalPath never leaves BasePath, whatever the artifact says; "" for an artifact without a path.
func (s *Storage) LocalPath(artifact meta.Artifact) string {
	if artifact.Path == "" {
		return ""
	}
	path, err := securejoin.SecureJoin(s.BasePath, artifact.Path)
	if err != nil {
		return ""
	}
	return path
}

func (s *Storage) folderOf(artifact meta.Artifact) string { return filepath.Dir(s.LocalPath(artifact)) }

// MkdirAll makes the folder the artifact lies in.
func (s *Storage) MkdirAll(artifact meta.Artifact) error {
	return os.MkdirAll(s.folderOf(artifact), 0o750)
}

// Remove removes the one artifact.
func (s *Storage) Remove(artifact meta.Artifact) error { return os.Remove(s.LocalPath(artifact)) }

// RemoveAll removes every artifact of the object; returns the folder, "" if there was none.
func (s *Storage) RemoveAll(artifact meta.Artifact) (string, error) {
	folder := s.folderOf(artifact)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return folder, os.RemoveAll(folder)
}

// ArtifactExist is true for a regular file.
func (s *Storage) ArtifactExist(artifact meta.Artifact) bool {
	info, err := os.Lstat(s.LocalPath(artifact))
	return err == nil && info.Mode().IsRegular()
}

// VerifyArtifact compares the file with the artifact's digest.
func (s *Storage) VerifyArtifact(artifact meta.Artifact) error {
	wanted, err := godigest.Parse(artifact.Digest)
	if err != nil {
		return fmt.Errorf("artifact digest: %w", err)
	}
	file, err := os.Open(s.LocalPath(artifact))
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := wanted.Algorithm().FromReader(file)
	if err != nil {
		return err
	}
	if found != wanted {
		return fmt.Errorf("computed digest %s doesn't match %s", found, wanted)
	}
	return nil
}

// GarbageCollect removes artifacts of the object, other than this one, that are too many or too old.
func (s *Storage) GarbageCollect(ctx context.Context, artifact meta.Artifact, limit time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	keep := s.LocalPath(artifact)
	entries, err := os.ReadDir(s.folderOf(artifact))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var others []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && info.Name() != filepath.Base(keep) {
			others = append(others, info)
		}
	}
	slices.SortFunc(others, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var removed []string
	for newer, info := range others {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		if newer+1 < s.records && time.Since(info.ModTime()) < s.ttl {
			continue
		}
		path := filepath.Join(filepath.Dir(keep), info.Name())
		if err := os.Remove(path); err != nil {
			return removed, err
		}
		removed = append(removed, path)
	}
	return removed, nil
}

// Copy writes the reader's bytes as the artifact.
func (s *Storage) Copy(artifact *meta.Artifact, from io.Reader) error {
	return s.write(artifact, func(to io.Writer) error {
		_, err := io.Copy(to, from)
		return err
	})
}

// CopyFromPath writes a file's bytes as the artifact.
func (s *Storage) CopyFromPath(artifact *meta.Artifact, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return s.Copy(artifact, file)
}

// Symlink gives the artifact a second, fixed name in its folder, and returns the URL of that.
func (s *Storage) Symlink(artifact meta.Artifact, name string) (string, error) {
	link := filepath.Join(s.folderOf(artifact), name)
	fresh := link + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Symlink(s.LocalPath(artifact), fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, link); err != nil {
		return "", err
	}
	return s.urlOf(artifact.Path[:strings.LastIndex(artifact.Path, "/")+1] + name), nil
}

// Lock keeps other writers of the artifact waiting until the returned function is called.
func (s *Storage) Lock(artifact meta.Artifact) (func(), error) {
	lock, _ := s.locks.LoadOrStore(artifact.Path, new(sync.Mutex))
	lock.(*sync.Mutex).Lock()
	return lock.(*sync.Mutex).Unlock, nil
}

// write moves a complete file into place, then notes digest, size and time in the artifact.
func (s *Storage) write(artifact *meta.Artifact, content func(io.Writer) error) (err error) {
	target := s.LocalPath(*artifact)
	file, err := os.CreateTemp(filepath.Dir(target), ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	sum := digest.Canonical.Digester()
	if err = content(io.MultiWriter(file, sum.Hash())); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err = errors.Join(file.Sync(), file.Chmod(0o640), file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), target); err != nil {
		return err
	}
	artifact.Digest, artifact.Size, artifact.LastUpdateTime = sum.Digest().String(), &size, metav1.Now()
	return nil
}
