"""The 24 named colours of agent types.

`static/css/tokens.css` defines each for light and dark backgrounds. The light values are repeated here
because the API returns them as `agentColor`; a test checks that the two agree.
"""

import hashlib

LIGHT = {
    "blue": "#2563c9",
    "teal": "#0f7a76",
    "green": "#2c7d3f",
    "amber": "#a05f00",
    "red": "#c0392f",
    "purple": "#7a4fc4",
    "pink": "#b93a80",
    "cyan": "#0e7798",
    "indigo": "#4a55c9",
    "lime": "#5a7a12",
    "orange": "#b4500f",
    "magenta": "#a23ab0",
    "brown": "#86602f",
    "gray": "#667080",
    "sky": "#1b74b5",
    "emerald": "#087a57",
    "olive": "#737008",
    "rust": "#a8472a",
    "violet": "#8b46d6",
    "rose": "#bf3358",
    "slate": "#52677f",
    "moss": "#4d7436",
    "plum": "#8d4372",
    "steel": "#3f7086",
}

CHOICES = [(name, name.capitalize()) for name in LIGHT]


def stable_color(slug: str) -> str:
    """The colour of a new agent type: always the same for the same slug."""
    digest = hashlib.blake2b(slug.encode(), digest_size=4).digest()
    names = [name for name in LIGHT if name != "gray"]  # gray is for `other`
    return names[int.from_bytes(digest) % len(names)]
