#!/bin/sh
# baikal-backup BAIKAL_FOLDER BACKUP_FOLDER KEEP
# A consistent copy of a running Baikal: SQLite's own backup, checked, then configuration, then one tar.
# A backup has its final name only when it is whole. Prints the name.
set -eu
baikal=$1 to=$2 keep=$3
db=$baikal/Specific/db/db.sqlite
[ -s "$db" ] || { echo "Cannot back up $db: it is missing or empty" >&2; exit 1; }
work=$(mktemp -d)
part=
trap 'rm -rf "$work" ${part:+"$part"}' EXIT
mkdir -p "$work/Specific/db" "$work/config"
sqlite3 -readonly -cmd '.timeout 30000' "$db" ".backup '$work/Specific/db/db.sqlite'"
answer=$(sqlite3 "$work/Specific/db/db.sqlite" 'PRAGMA integrity_check')
[ "$answer" = ok ] || { echo "Cannot back up $db: integrity check says: $answer" >&2; exit 1; }
cp -R "$baikal/config/." "$work/config/"
name=baikal-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
[ ! -e "$to/$name" ] || { echo "Cannot back up to $to/$name: it is there already" >&2; exit 1; }
part=$to/.$name.part
tar -C "$work" -czf "$part" Specific config
sync "$part"
mv "$part" "$to/$name"
part=
# The oldest beyond KEEP go, and only now that a newer one is whole. Names sort by time.
ls -1 "$to" | grep '^baikal-[0-9TZ]*\.tar\.gz$' | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
  rm -- "$to/$old"
done
echo "$to/$name"
