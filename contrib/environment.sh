# Sourced by the scripts beside it, after packages are installed: what they build and run must not depend on
# what the caller happens to have set. Only TMPDIR is kept, where it names a directory that can be used.
# shellcheck shell=bash

for name in $(compgen -e); do
    case $name in
    FLOWSPOOL_* | CMAKE_* | CTEST_* | NINJA_* | PKG_CONFIG_* | PYTEST_* | PYTHON* | *SAN_OPTIONS | *_[Pp][Rr][Oo][Xx][Yy] | \
        LD_* | LC_* | LANGUAGE | CC | CXX | CPP | CFLAGS | CXXFLAGS | CPPFLAGS | LDFLAGS | CPATH | C_INCLUDE_PATH | \
        LIBRARY_PATH | DESTDIR | MAKEFLAGS | CREDENTIALS_DIRECTORY | NOTIFY_SOCKET | SSL_CERT_* | CURL_CA_BUNDLE)
        unset "$name"
        ;;
    esac
done
unset name
export LANG=C.UTF-8
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022
if [ ! -d "${TMPDIR:-/tmp}" ] || [ ! -w "${TMPDIR:-/tmp}" ]; then
    unset TMPDIR
fi
if [ -e build ] && [ ! -w build ]; then
    echo "$PWD/build belongs to $(stat -c %U build), who seems to have run this before. Remove it, or run this" >&2
    echo "as that user." >&2
    exit 1
fi
