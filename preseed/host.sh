# Sourced by the scripts beside it, in the installer's busybox sh: which machine of hosts.tsv is this?
# Sets MAC NAME ADDRESS GATEWAY RESOLVER DOMAIN DISK_MIN_GIB and IFACE; fails for a machine that is not listed.
HERE=${HERE:-/hackspace}
SYS=${SYS:-/sys}
DEV=${DEV:-/dev}
CMDLINE=${CMDLINE:-/proc/cmdline}

this_host() {
	for net in "$SYS"/class/net/*; do
		[ -e "$net/address" ] || continue
		here=$(cat "$net/address")
		while read -r MAC NAME ADDRESS GATEWAY RESOLVER DOMAIN DISK_MIN_GIB; do
			if [ "$MAC" = "$here" ]; then
				IFACE=${net##*/}
				return 0
			fi
		done < "$HERE/hosts.tsv"
	done
	echo "Cannot tell which machine this is: no network card of it is in hosts.tsv" >&2
	return 1
}

# kernel_argument NAME: the value of NAME=value on the kernel command line, or nothing
kernel_argument() {
	for word in $(cat "$CMDLINE"); do
		case $word in
		"$1="*) echo "${word#*=}" ;;
		esac
	done
}
