"""`fusionkit.fuse`: HyperSpy signals, arrays or files in, fused maps of the same kind out.

HyperSpy is never imported here: its signals are recognised by the module of their type.
"""
