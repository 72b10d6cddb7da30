package storage

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
	pkgtar "github.com/fluxcd/pkg/tar"
)

// ArchiveFileFilter is true for a path that stays out of the archive.
type ArchiveFileFilter func(path string, info os.FileInfo) bool

// SourceIgnoreFilter follows .sourceignore patterns; without any, the default exclusions.
func SourceIgnoreFilter(patterns []gitignore.Pattern, domain []string) ArchiveFileFilter {
	matcher := sourceignore.NewDefaultMatcher(patterns, domain)
	if len(patterns) > 0 {
		all := append(sourceignore.VCSPatterns(domain), patterns...)
		matcher = sourceignore.NewMatcher(all)
	}
	return func(path string, info os.FileInfo) bool {
		return matcher.Match(strings.Split(path, string(filepath.Separator)), info.IsDir())
	}
}

// Archive packs a folder's files as tar.gz: the same bytes for the same content, whoever fetched it and when.
func (s *Storage) Archive(artifact *meta.Artifact, folder string, skip ArchiveFileFilter) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("invalid dir path: %s", folder)
	}
	return s.write(artifact, func(to io.Writer) error {
		zipped := gzip.NewWriter(to)
		archive := tar.NewWriter(zipped)
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == folder {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if skip != nil && skip(path, info) {
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			return pack(archive, folder, path, info)
		})
		if err != nil {
			return err
		}
		if err := archive.Close(); err != nil {
			return err
		}
		return zipped.Close()
	})
}

func pack(archive *tar.Writer, folder, path string, info fs.FileInfo) error {
	name, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644}
	switch {
	case info.IsDir():
		header.Name, header.Mode, header.Typeflag = header.Name+"/", 0o755, tar.TypeDir
		return archive.WriteHeader(header)
	case !info.Mode().IsRegular():
		return nil // links and devices
	case info.Mode().Perm()&0o111 != 0:
		header.Mode = 0o755
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}

// CopyToPath unpacks what lies at subPath of the artifact into toPath.
func (s *Storage) CopyToPath(artifact *meta.Artifact, subPath, toPath string) error {
	unpacked, err := os.MkdirTemp("", "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unpacked)
	file, err := os.Open(s.LocalPath(*artifact))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := pkgtar.Untar(file, unpacked, pkgtar.WithMaxUntarSize(-1)); err != nil {
		return err
	}
	from, err := securejoin.SecureJoin(unpacked, subPath)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(toPath), 0o750); err != nil {
		return err
	}
	return os.CopyFS(toPath, os.DirFS(from))
}
