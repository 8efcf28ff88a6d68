package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating system user that the server runs as. Postgres refuses to run as root, so root's servers run as
// somebody else; an ordinary user's run as that user.
type account struct {
	name     string
	uid, gid uint32
	drop     bool // we are root and change to this user for every Postgres program
}

// chooseAccount settles who runs the server. A cluster that exists already keeps its owner, so that installing the
// postgres package later does not change hands.
func chooseAccount(ctx context.Context, clusters ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "self", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, dir := range clusters {
		info, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return account{name: "uid " + strconv.Itoa(int(st.Uid)), uid: st.Uid, gid: st.Gid, drop: true}, nil
		}
	}
	for _, name := range []string{"postgres", "_postgres", "trunkline"} {
		if acct, err := lookUp(name); err == nil {
			return acct, nil
		}
	}
	// Neither exists: make one of our own, with the two tools the distributions have; a read-only system falls back to nobody.
	for _, argv := range [][]string{
		{"useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "trunkline"},
		{"adduser", "-S", "-H", "-D", "trunkline"},
	} {
		if exec.CommandContext(ctx, argv[0], argv[1:]...).Run() != nil { //nolint:gosec // the two fixed command lines above
			continue
		}
		if acct, err := lookUp("trunkline"); err == nil {
			return acct, nil
		}
	}
	acct, err := lookUp("nobody")
	if err != nil {
		return account{}, errors.New("postgres refuses to run as root and there is no user postgres, trunkline or nobody: make one, or run trunkline as an ordinary user")
	}
	return acct, nil
}

func lookUp(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	if uid == 0 {
		return account{}, fmt.Errorf("user %s is root", name)
	}
	return account{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
}

// own hands a path to the account; it does nothing for an ordinary user, whose files are their own.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("hand over to %s: %w", a.name, err)
	}
	return nil
}

// ownAll hands over a whole tree, such as a cluster that root restored from a backup.
func (a account) ownAll(root string) error {
	if !a.drop {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return a.own(path)
	})
}

// command prepares a program to run as the account, from a directory anybody can be in, with an environment free of PG*
// variables that would redirect it.
func (a account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // programs come from the operator's own directories
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=/"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}

// reaches says whether the account can work below dir. It really tries: mode bits alone miss ACLs, mounts and confinement.
func (a account) reaches(ctx context.Context, dir string) bool {
	return a.command(ctx, "/bin/sh", "-c", `cd -- "$1" && test -x .`, "sh", dir).Run() == nil
}
