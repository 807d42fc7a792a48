"""What cells without a known group are called, and the colours that groups get where none were published."""

UNKNOWN = "unknown"
GREY = "#808080"  # of unknown cells
# Okabe & Ito (2008), told apart with every common form of colour blindness; their yellow is too pale for dots.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
