# Turns a fresh mount, UTS and network namespace into a host of its own, says "ready", and keeps it alive.
# Usage: holder.sh HOSTNAME. Run by `unshare --mount --uts --net sh`, which makes all mounts private.
#
# The machine's /etc, /opt, /var/lib and /var/log stay visible but are copy-on-write from here on (overlayfs with its upper
# layer on tmpfs), so mount points that the machine does not have can be made without touching it. What Calico
# keeps its files in starts empty even if the machine has such directories. /run is empty and private.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"

echo "$1" >/proc/sys/kernel/hostname

# Namespaces of others that are bound under /run must not live as long as this host does.
awk '$5 ~ "^/run/" { print $5 }' /proc/self/mountinfo | sort -r | while read -r point; do
    umount -l "$point" 2>/dev/null || true
done

mount -t tmpfs -o mode=755 host-scratch /run
for dir in /etc /opt /var/lib /var/log; do
    layer="/run/layers$dir"
    mkdir -p "$layer/upper" "$layer/work" "$layer/lower"
    mount --rbind "$dir" "$layer/lower"
    mount -t overlay host "$dir" -o "lowerdir=$dir,upperdir=$layer/upper,workdir=$layer/work"
    # An overlay shows one filesystem: carry over what is mounted below, e.g. a container's /etc/resolv.conf.
    awk -v at="$layer/lower/" 'index($5, at) == 1 { print substr($5, length(at) + 1) }' /proc/self/mountinfo |
        while read -r point; do mount --bind "$layer/lower/$point" "$dir/$point"; done
done
mkdir -p /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs host /sys
mount --rbind /run/cgroup /sys/fs/cgroup 2>/dev/null || true
umount -l /run

mount -t tmpfs -o mode=755 host /run
mkdir -p /run/netns /run/lock
for dir in /var/lib/calico /var/log/calico /etc/calico /etc/cni /opt/cni; do
    mkdir -p "$dir"
    mount -t tmpfs -o mode=755 host "$dir"
done
echo "$1" >/etc/hostname

# A new namespace inherits IPv4 settings of the machine; a fresh host does not forward.
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
echo 0 >/proc/sys/net/ipv6/conf/default/forwarding
ip link set lo up

echo ready
exec sleep infinity >/dev/null 2>&1 </dev/null
