# Puts a child into memory and becomes it. Runs as `python3 -Ic`, which ignores the variables that
# could load code (PYTHONPATH, PYTHONSTARTUP), the user's own packages and the current directory.
#
# Every line is a whole statement. No quotes of any kind, no backslash, no exclamation mark.
import os,sys

# A hash may be the work of OpenSSL, which would read OPENSSL_CONF. The child gets it all back.
e=dict(os.environ)
os.environ.clear()
import hashlib

# The numbers of two system calls, the child's size and hash, the folder of descriptors, the line
# that asks for the child, and the child's own arguments.
a=sys.argv
f=os.memfd_create(a[0])
p=a[5]+str(f)
os.access(p,1)or exit(1)

# A size of 0 only asks whether this would work.
int(a[3])or exit(0)
os.write(1,a[6].encode()+bytes([10]))

# What was cut or damaged on its way does not run.
b=sys.stdin.buffer.read(int(a[3]))
hashlib.sha256(b).hexdigest()==a[4]or exit(1)

# What is open for writing does not run, so it is opened once more.
r=os.open(p,0)
os.fdopen(f,chr(119)+chr(98)).write(b)
os.execve(a[5]+str(r),a[6:],e)
