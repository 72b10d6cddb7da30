#!/bin/sh
# preseed/late_command: what makes the fresh Debian a host that Proxmox installs on at its first boot:
# name and address from hosts.tsv, a VLAN-aware bridge, ssh by key only, and proxmox-install.service.
set -eu
HERE=${HERE:-/hackspace}
TARGET=${TARGET:-/target}
. "$HERE/host.sh"
this_host

# Proxmox wants the name to resolve to the address that lasts, not to 127.0.1.1.
echo "$NAME" > "$TARGET/etc/hostname"
cat > "$TARGET/etc/hosts" <<END
127.0.0.1 localhost
${ADDRESS%/*} $NAME.$DOMAIN $NAME

::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
END
printf 'search %s\nnameserver %s\n' "$DOMAIN" "$RESOLVER" > "$TARGET/etc/resolv.conf"

# The card keeps its name when a kernel would rename it.
mkdir -p "$TARGET/etc/systemd/network"
cat > "$TARGET/etc/systemd/network/10-uplink.link" <<END
[Match]
MACAddress=$MAC
Type=ether

[Link]
Name=enuplink0
END
cat > "$TARGET/etc/network/interfaces" <<END
auto lo
iface lo inet loopback

iface enuplink0 inet manual

auto vmbr0
iface vmbr0 inet static
	address $ADDRESS
	gateway $GATEWAY
	bridge-ports enuplink0
	bridge-stp off
	bridge-fd 0
	bridge-vlan-aware yes
	bridge-vids 2-4094
END

mkdir -p "$TARGET/root/.ssh" "$TARGET/etc/ssh/sshd_config.d"
chmod 700 "$TARGET/root/.ssh"
if [ -s "$HERE/authorized_keys" ]; then
	cp "$HERE/authorized_keys" "$TARGET/root/.ssh/authorized_keys"
	chmod 600 "$TARGET/root/.ssh/authorized_keys"
fi
printf 'PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n' \
	> "$TARGET/etc/ssh/sshd_config.d/hackspace.conf"
# For the console only; made by: openssl passwd -6 > root-password.hash
if [ -s "$HERE/root-password.hash" ]; then
	(umask 077; printf 'root:%s\n' "$(cat "$HERE/root-password.hash")" > "$TARGET/root/.hash")
	in-target sh -c 'chpasswd -e < /root/.hash'
	rm -f "$TARGET/root/.hash"
fi

cp "$HERE/proxmox-install" "$TARGET/usr/local/sbin/proxmox-install"
chmod 755 "$TARGET/usr/local/sbin/proxmox-install"
cp "$HERE/proxmox-install.service" "$TARGET/etc/systemd/system/proxmox-install.service"
in-target systemctl enable proxmox-install.service
