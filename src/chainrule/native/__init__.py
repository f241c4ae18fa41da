"""Writing native code: LLVM IR as text. What is compiled, and how it is run, is the business of `compiler`."""
