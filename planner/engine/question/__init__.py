"""What is asked and what is answered, as frozen records, and the errors between."""
