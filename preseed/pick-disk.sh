#!/bin/sh
# Prints the disk to install on, for example /dev/nvme0n1, or says why there is none and exits 1.
# The rule: a fixed disk of at least DISK_MIN_GIB that is blank; NVMe before SSD before spinning, then the smallest, then by name.
# A disk with anything on it is taken only when the kernel command line names it: hackspace.wipe=SERIAL (or the kernel's name, nvme0n1).
set -u
. "${HERE:-/hackspace}/host.sh"

serial_of() {
	for file in serial device/serial device/wwid wwid; do
		if [ -r "$1/$file" ]; then
			tr -d ' ' < "$1/$file"
			return
		fi
	done
}

# Partition tables, LVM, ZFS, Ceph and all file systems write within the first MiB.
is_blank() {
	for part in "$1"/*/partition "$1"/holders/*; do
		[ -e "$part" ] && return 1
	done
	[ "$(dd if="$DEV/${1##*/}" bs=65536 count=16 2>/dev/null | tr -d '\000' | head -c 1 | wc -c)" -eq 0 ]
}

refuse() {
	echo "  ${disk##*/} ($GIB GiB, serial ${SERIAL:-unknown}): $1" >&2
}

min=${1:?the least size in GiB}
wipe=$(kernel_argument hackspace.wipe)
candidates=
for disk in "$SYS"/block/*; do
	case ${disk##*/} in
	loop* | ram* | zram* | sr* | fd* | md* | dm-* | nbd* | zd* | *boot[0-9]) continue ;;
	esac
	[ -r "$disk/size" ] || continue
	GIB=$(($(cat "$disk/size") / 2097152))
	SERIAL=$(serial_of "$disk")
	if [ -n "$wipe" ]; then
		if [ "$wipe" = "$SERIAL" ] || [ "$wipe" = "${disk##*/}" ]; then
			candidates="$candidates
0 $GIB ${disk##*/}"
		else
			refuse "is not the one that hackspace.wipe names"
		fi
		continue
	fi
	[ "$(cat "$disk/removable")" = 0 ] || { refuse "is removable"; continue; }
	[ "$(cat "$disk/ro")" = 0 ] || { refuse "is read-only"; continue; }
	case $(readlink -f "$disk") in
	*/usb[0-9]*) refuse "hangs on USB"; continue ;;
	esac
	[ "$GIB" -ge "$min" ] || { refuse "is smaller than $min GiB"; continue; }
	is_blank "$disk" || { refuse "is not blank"; continue; }
	case ${disk##*/} in
	nvme*) kind=1 ;;
	*) kind=$((2 + $(cat "$disk/queue/rotational"))) ;;
	esac
	candidates="$candidates
$kind $GIB ${disk##*/}"
done

chosen=$(echo "$candidates" | sort -k1,1n -k2,2n -k3,3 | sed -n '/./{s/.* //;p;q;}')
if [ -z "$chosen" ]; then
	echo "Cannot pick a disk: none is blank, fixed and of $min GiB (to erase one, boot with hackspace.wipe=SERIAL)" >&2
	exit 1
fi
if [ -n "$wipe" ] && [ "$(echo "$candidates" | grep -c .)" -ne 1 ]; then
	echo "Cannot pick a disk: hackspace.wipe=$wipe names more than one" >&2
	exit 1
fi
echo "$DEV/$chosen"
