# Becomes a child of Offshoot: finds it in a cache, or asks for it, checks it, and executes it.
#
# `Stage0` fills in what stands between `@`, keeps one branch of each `#if`, and sends the text
# without its comments and line breaks. It is read twice: by a login shell, which may be of any
# kind and must see one quoted word, and by /bin/sh, which may be of any make. Hence there is no
# single quote, no `!` and no backslash in a line of code, and nothing beyond POSIX but `[ -O` and
# `head -c`, which every system has. Names have one letter, because they travel each time:
#
#   N  nonce                        I  index of this platform's child     p  PATH of the caller
#   D  cache directory of the home  H  SHA-256 of the child, its name     w  working directory
#   C  other cache directories      S  size of the child                  m  umask
#   d  directory that is tried      G  size when compressed, or empty     t  file being received
#   r  why a directory is no good   M  system call numbers, or empty

N=@NONCE@

# The tools are the system's own: root may have been given the PATH of the user who became root,
# and functions, too, where /bin/sh is bash. Only where there is no `ls` the caller's PATH is
# searched as well; an empty one would mean the current directory. Error output is closed until
# the child runs.
unset -f [ cat cd chmod command echo env find gzip head id ls mkdir mv rm rmdir umask uname wc
p=$PATH w=$PWD m=$(umask)
umask 077
exec 3>&2 2>/dev/null
PATH=/usr/bin:/bin:/usr/local/bin
command -v ls>&2||
PATH=$PATH${p:+:$p}

# Sets I, H, S, M and G.
case $(uname -sm) in
@PLATFORMS@
*)echo "$N:arch:$(uname -sm)"
exit 3
esac

# x FILE: becomes FILE, in the environment of the caller. An argument behind the directory is the
# child's name in process listings.
x(){
    umask $m
    PATH=$p
    exec $1 serve $N "$w"@NAME@ 2>&3 3>&-
}

# e TOOL...: runs a tool without the caller's variables, which could change what it does or loads.
e(){
    env -i PATH="$PATH" "$@"
}

# k DIRECTORY [FILE PATTERN]: enters the directory and then judges it, so that nothing can be
# swapped in between. It must belong to this user, be open to no other, and be listed as a
# directory, not a link, under its name in the directory above. A FILE in it must match PATTERN;
# one `ls` lists all of them, in a fixed order.
k(){
    cd -P "$1"&&
    [ -O . ]||
    return
    n=../${1##*/} g=$3
    set -- $(LC_ALL=C TIME_STYLE=locale QUOTING_STYLE=literal ls -ldni . $n $2)
    case "$*" in
    "$1 "drwx--[-S]---*" $1 d"*" $n"*$g)return 0
    esac
    false
}

# o PATH: whether it is absolute and a directory of this user. A home of another user, which root
# may be given, is left alone.
o(){
    case $1 in
    /*)[ -O "$1" ];;
    *)false
    esac
}
D=
o "$HOME"&&
D=$HOME/.cache&&
o "$XDG_CACHE_HOME"&&
D=$XDG_CACHE_HOME

# v FILE: whether it has the hash H. Where no program computes hashes, the size has to do: ssh has
# checked every byte.
v(){
    g=$(e sha256sum $1||e shasum -a 256 $1||e openssl dgst -sha256 -r $1)
    g=${g%% *}
    [ "${g:-$H}" = $H ]
}

#if cache
# q DIRECTORY: becomes the child that is cached there, if it is a plain file of this user alone.
q(){
    k "$1" $H "-rwx------* $S *"&&
    [ -O $H ]&&
    [ -x $H ]&&
#if verify
    v $H&&
#end
    x ./$H
}

# The cache in the home comes first: no other program runs before it is looked into.
[ "$D" ]&&
q "$D/@CACHE@"
u=@CACHE@-$(id -u)
C="/var/tmp/$u /tmp/$u /dev/shm/$u"
for d in $C
do
    q $d
done
#end

# z: removes what this script has made. It does so wherever it is by then: no other file has a
# nonce for a name.
#if cache
z(){
    rm -f $t
}
#else
z(){
    rm -f $t
    rmdir "$d"
}
#end
t=./.$N
trap z 0
trap "exit 9" 1 2 13 15

# b: asks for a child to put into directory d, and becomes it. It returns if it cannot, with the
# reason in r.
b(){
#if cache
    mkdir "${d%/@CACHE@}" "$d"
    k "$d"||
    return
#else
    mkdir "$d"&&
    k "$d"||
    return
#end

    # Everything is tried before anything is sent. A script of one colon shows whether programs
    # run here: not every `[ -x` knows.
    r=write
    echo : >$t&&
    chmod 700 $t||
    return
    r=noexec
    $t||
    return
    r=head
    head -c 1 </dev/null>&2||
    return
    y=cat z=cat c=$S
    [ "$G" ]&&
    command -v gzip>&2&&
    y=gzip z="e gzip -dc" c=$G
    echo "$N:need:$I:$y:$d"

#if cache
    # While the answer is on its way: removes what broken connections left more than an hour ago,
    # and children that have not run for a month. These are files right here whose names are
    # nonces or hashes.
    g=[0-9a-f]
    g=$g$g$g$g
    g=$g$g$g$g$g$g$g$g
    find ./.$g -prune -type f -mmin +60 -exec rm -f {} +
    find ./$g$g -prune -type f -atime +30 -exec rm -f {} +
#end

    # All of the payload is read, even if nothing more can be written, so that the next one starts
    # where it should. The next one is not compressed, in case it was gzip that failed.
    head -c $c|
    { $z >$t;cat>&2;}
    G=
    r=short
    [ $(wc -c <$t) -eq $S ]||
    return
    r=hash
    v $t||
    return
    r=run
    $t --version</dev/null>&2||
    return
#if cache
    r=rename
    mv -f $t $H&&
    x ./$H
#else
    # The file is gone before the child starts.
    r=proc
    [ -e /proc/self/exe ]||
    return
    exec 9<$t
    z
    cd "$w"
    x /proc/self/fd/9
#end
}

d=$HOME
[ "$D" ]||
echo "$N:no:home:$d"
#if cache
for d in ${D:+"$D/@CACHE@"} $C
#else
# Memory first: what was never on a disk leaves nothing there.
for d in /dev/shm/.@CACHE@-$N /tmp/.@CACHE@-$N /var/tmp/.@CACHE@-$N ${D:+"$HOME/.@CACHE@-$N"}
#end
do
    r=dir
    b
    z
    echo "$N:no:$r:$d"
    # A child that is damaged, or does not run, is no better in memory.
    case $r in
    hash|run)M=
    esac
done

# Where no file may run, one that is only in memory may: perl or python puts the child there and
# becomes it. Each is first asked, by a size of 0, whether it can. The current directory may belong
# to anyone, so nothing is expanded to names in it.
[ "$M" ]&&
{
    d=memory
    cd "$w"
    set -f
    IFS=^
    for g in "$(command -v perl)^-Te^@PERL@" "$(command -v python3)^-Ic^@PYTHON@"
    do
        $g $M 0 $H /proc/self/fd/&&
        x "$g^$M^$S^$H^/proc/self/fd/^$N:need:$I:cat:$d"
    done
    echo $N:no:$d:$d
}
echo $N:fail
exit 5
