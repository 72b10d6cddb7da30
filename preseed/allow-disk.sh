#!/bin/sh
# partman/early_command: gives the installer the answers that let it write to a disk, and only those this machine has earned.
# It must be a machine of hosts.tsv, with a disk by the rule of pick-disk.sh, and somebody must be able to log in afterwards.
# If not, none of the answers is given: the installer shows the reason and waits for a human.
set -u
HERE=${HERE:-/hackspace}
. "$HERE/host.sh"

refuse() {
	echo "$1" >&2
	sh "$HERE/refuse.sh" "$1"
	exit 1
}

reasons=$(mktemp)
this_host 2> "$reasons" || refuse "$(cat "$reasons")"
if ! grep -qs '^\(ssh\|ecdsa\|sk-\)' "$HERE/authorized_keys" && ! [ -s "$HERE/root-password.hash" ]; then
	refuse "Cannot install $NAME: neither authorized_keys nor root-password.hash came along, nobody could log in"
fi
disk=$(sh "$HERE/pick-disk.sh" "$DISK_MIN_GIB" 2> "$reasons") || refuse "$(cat "$reasons")"

firmware=bios
[ -d "$SYS/firmware/efi" ] && firmware=uefi
logger -t hackspace "$NAME: $firmware, installing on $disk"

# As a preseed file and not by debconf-set, which gives a value and has the installer ask all the same.
answers=$(mktemp)
cat > "$answers" <<END
d-i partman-auto/disk string $disk
d-i partman-auto/expert_recipe_file string $HERE/recipes/$firmware
d-i partman-partitioning/confirm_write_new_label boolean true
d-i partman-lvm/confirm boolean true
d-i partman-lvm/confirm_nooverwrite boolean true
d-i partman-lvm/device_remove_lvm boolean true
d-i partman-md/device_remove_md boolean true
d-i partman/choose_partition select finish
d-i partman/confirm boolean true
d-i partman/confirm_nooverwrite boolean true
d-i grub-installer/bootdev string $disk
END
debconf-set-selections "$answers"
