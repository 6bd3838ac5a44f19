"""From a case that is not right to what is to blame: an operator, a span of operators, or none of them alone."""
