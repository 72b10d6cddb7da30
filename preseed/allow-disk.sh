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

debconf-set partman-auto/disk "$disk"
debconf-set grub-installer/bootdev "$disk"
debconf-set partman-auto/expert_recipe_file "$HERE/recipes/$firmware"
for question in partman-partitioning/confirm_write_new_label partman/confirm partman/confirm_nooverwrite \
	partman-lvm/confirm partman-lvm/confirm_nooverwrite partman-lvm/device_remove_lvm partman-md/device_remove_md; do
	debconf-set "$question" true
done
debconf-set partman/choose_partition finish
