"""How much memory a script took, measured where the process that started it does not count."""

# ru_maxrss begins, after fork and exec, with what the parent held; VmHWM with the script itself.
PEAK_KIB = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
