# What a container can do, one line for each thing; the words after the last colon are the kernel's.
answer() {
    if said=$( ( : <>"$1" ) 2>&1 ); then echo opened; else echo "${said##*: }"; fi
}
find /dev | grep -E 'nvidia|/dev/dri|/dev/kfd' | sort | while read -r path; do
    [ -d "$path" ] && continue
    if [ -c "$path" ]; then
        echo "node|$path|$(stat -c '%t|%T|%a' "$path")|$(answer "$path")"
    else
        echo "other|$path"
    fi
done
for path in /oracle/*; do
    echo "rule|${path#/oracle/}|$(answer "$path")"
done
for path in /usr/lib/lib*.so* /usr/lib/*/lib*.so* /usr/lib64/lib*.so* /usr/lib32/lib*.so* /usr/bin/nvidia-* /etc/cufile.json \
    /usr/lib64/vdpau/* /usr/lib/*/vdpau/* /usr/lib64/gbm/* /usr/lib/*/gbm/* /usr/lib64/xorg/modules/*/* \
    /usr/lib/xorg/modules/*/* /lib/firmware/nvidia/*/* /etc/OpenCL/vendors/* /usr/share/glvnd/egl_vendor.d/* \
    /var/run/nvidia-*/socket; do
    [ -e "$path" ] || continue
    if said=$( ( : >>"$path" ) 2>&1 ); then said=written; fi
    echo "file|$path|$(head -n 1 "$path")|${said##*: }|$(grep " $path " /proc/self/mountinfo | tail -n 1 | cut -d ' ' -f 6)"
done
echo "end"
