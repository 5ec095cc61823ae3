"""Fused multi-modal electron microscopy."""
