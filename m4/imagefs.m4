# SPDX-License-Identifier: Apache-2.0

# IMAGEFS_CC_FLAG(VARIABLE, FLAG): append FLAG to VARIABLE when the compiler takes it.
# -Werror makes clang refuse warnings that it doesn't know.
AC_DEFUN([IMAGEFS_CC_FLAG], [
  AS_VAR_PUSHDEF([cached], [imagefs_cv_cc_flag_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [cached], [
    imagefs_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([cached], [yes])], [AS_VAR_SET([cached], [no])])
    CFLAGS=$imagefs_saved_cflags
  ])
  AS_VAR_IF([cached], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cached])
])

# IMAGEFS_SANITIZER: --enable-sanitizer=address|undefined|thread, also several with commas between.
# Sets SANITIZER_CFLAGS (for compiling and linking) and enable_sanitizer.
AC_DEFUN([IMAGEFS_SANITIZER], [
  AC_ARG_ENABLE([sanitizer],
    [AS_HELP_STRING([--enable-sanitizer=LIST], [build with sanitizers: address, undefined, thread, or address,undefined])],
    [], [enable_sanitizer=no])
  SANITIZER_CFLAGS=
  AS_CASE([$enable_sanitizer],
    [no], [],
    [address|undefined|thread|address,undefined|undefined,address|thread,undefined|undefined,thread], [
      SANITIZER_CFLAGS="-fsanitize=$enable_sanitizer -fno-omit-frame-pointer"
      AS_CASE([$enable_sanitizer], [*undefined*],
        [AS_VAR_APPEND([SANITIZER_CFLAGS], [" -fno-sanitize-recover=undefined"])])
      imagefs_saved_cflags=$CFLAGS
      CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
      AC_MSG_CHECKING([whether $CC links with $SANITIZER_CFLAGS])
      AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no]); AC_MSG_ERROR([$CC has no sanitizer "$enable_sanitizer" on this system])])
      CFLAGS=$imagefs_saved_cflags
    ],
    [AC_MSG_ERROR([--enable-sanitizer takes address, undefined, thread or address,undefined; not "$enable_sanitizer"])])
  AC_SUBST([SANITIZER_CFLAGS])
])
