#!/bin/sh
# baikal-restore BACKUP.tar.gz BAIKAL_FOLDER
# Puts a backup back where Baikal is NOT running. What was there is kept beside it, as *.before-restore.
set -eu
from=$1 baikal=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$from" Specific config
answer=$(sqlite3 "$work/Specific/db/db.sqlite" 'PRAGMA integrity_check')
[ "$answer" = ok ] || { echo "Cannot restore $from: integrity check says: $answer" >&2; exit 1; }
mkdir -p "$baikal/Specific/db" "$baikal/config"
# A journal of the old database must not be played into the new one.
for suffix in '' -wal -shm -journal; do
  old=$baikal/Specific/db/db.sqlite$suffix
  if [ -e "$old" ]; then mv -- "$old" "$old.before-restore"; fi
done
cp "$work/Specific/db/db.sqlite" "$baikal/Specific/db/db.sqlite.part"
sync "$baikal/Specific/db/db.sqlite.part"
mv "$baikal/Specific/db/db.sqlite.part" "$baikal/Specific/db/db.sqlite"
cp -R "$work/config/." "$baikal/config/"
echo "restored $from"
