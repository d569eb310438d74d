"""Widths in bits that packets, instructions and hardware share; every format is built from them."""

COORDINATE_BITS = 7
"""x or y of a router: 0 and the one past the last are edge ports."""
SEQUENCE_BITS = 16
"""Number of a sequence."""
POSITION_BITS = 20
"""Position of a token in its sequence; also counts of tokens and blocks."""
STAGE_BITS = 4
"""Number of a stage in a core."""
OPERAND_BITS = 2
"""Operand of a token that a packet belongs to."""
FLAG_BITS = 4
"""Flags of a token."""
OFFSET_BITS = 14
"""Flit address within a slot."""
WORD_ADDRESS_BITS = 12
"""Word address in a core's buffer."""
VECTOR_BITS = 14
"""Length of a vector in elements."""
HEAD_BITS = 4
"""KV head of a core."""
UNIT_BITS = 6
"""Target of WRITE and READ in a core."""
ENTRY_BITS = 24
"""Number of an entry of such a target."""
CREDIT_BITS = 5
"""Number of a credit counter."""
LABEL_BITS = 7
"""Multicast label."""
KIND_BITS = 3
"""Kind of a packet."""
VC_BITS = 3
"""Virtual channel of a link."""
LENGTH_BITS = 4
"""Payload flits of a packet."""
DIE_CORE_BITS = 8
"""Number of a router on its die."""
DIE_BITS = 6
"""Number of a die."""
TURN_BITS = 3
"""Entry of the tables of dies and cores."""
MEMBER_BITS = 7
"""Number of a core among those that share a KV head."""
