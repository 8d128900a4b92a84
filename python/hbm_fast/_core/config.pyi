"""
The build and the instruction-set level.
"""
from __future__ import annotations
__all__: list[str] = ['compiler', 'isa_level', 'stream_version', 'version']
def isa_level() -> str: ...
compiler: str
stream_version: int = 1
version: str
