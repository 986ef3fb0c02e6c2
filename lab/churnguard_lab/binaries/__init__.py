"""Where the lab's executables come from: a folder the user names, the cache, the official release, or a build."""
