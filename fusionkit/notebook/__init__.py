"""`fusionkit.fuse`: HyperSpy signals, arrays or files in, and fused maps in kind out.

HyperSpy is never imported here: its signals are known by the module of their type.
"""
